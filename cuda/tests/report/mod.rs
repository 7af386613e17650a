//! How tests ask for a report, and read what is in it without a browser.

use serde_json::Value;

use super::command::{file, freehold, text};

/// A page that was written: where, what is in it, and its data; and what the run printed as `--json`.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) path: String,
    pub(crate) html: String,
    pub(crate) data: Value,
    pub(crate) printed: Value,
}

/// Replays a trace with `--report` to a file of this name.
pub(crate) fn report(name: &str, trace: &str, words: &[&str]) -> Page {
    let path = file(name, b"what was here before goes");
    let words = [&["replay", trace, "--device", "host", "--json", "--report", &path], words].concat();
    let output = freehold(&words);
    assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
    let html = std::fs::read_to_string(&path).expect("the page was written, in UTF-8");
    let (_, rest) = html.split_once("<script type=\"application/json\" id=\"data\">").expect("the page has its data");
    let (data, _) = rest.split_once("</script>").expect("and its end");
    let data = serde_json::from_str(data).expect("the data is JSON");
    Page { path, html, data, printed: serde_json::from_str(&text(&output.stdout)).expect("JSON and nothing else") }
}

/// The sum of a list of whole numbers.
pub(crate) fn sum(list: &Value) -> u64 {
    list.as_array().expect("a list").iter().map(whole).sum()
}

pub(crate) fn whole(number: &Value) -> u64 {
    number.as_u64().unwrap_or_else(|| panic!("{number} is no whole number"))
}
