//! A text that comes with an allocation: its label, its metadata. Most often there is none, and that keeps no memory.

use std::ops::Deref;
use std::sync::Arc;

/// A shared text; the empty one is not shared, for there is nothing to share.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Label(Option<Arc<str>>);

impl Label {
    /// The same text for whoever keeps it.
    pub(crate) fn shared(&self) -> Arc<str> {
        self.0.clone().unwrap_or_default()
    }
}

impl<T: Into<Arc<str>>> From<T> for Label {
    fn from(text: T) -> Self {
        Label(Some(text.into()).filter(|text| !text.is_empty()))
    }
}

impl Deref for Label {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl std::fmt::Debug for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_and_an_empty_one_are_the_same() {
        let [none, empty, some] = [Label::default(), Label::from(""), Label::from("layer 0")];
        assert_eq!([&*none, &*empty, &*some], ["", "", "layer 0"]);
        assert!(none.0.is_none() && empty.0.is_none());
        assert_eq!((&*none.shared(), &*some.shared()), ("", "layer 0"));
    }
}
