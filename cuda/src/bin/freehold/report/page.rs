//! The page: one HTML file that holds its style, its script and its data.
//!
//! Names come from traces, and a trace may say anything: the title is escaped for HTML, and the data is JSON in which `<` is
//! written as an escape, so that nothing in it can end its element. The script puts texts into the page as text only.

use std::io::{self, Write};

use super::Picture;

const FRAME: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");

/// The script's parts, in the order in which the data meets them.
const SCRIPT: [&str; 10] = [
    include_str!("page/data.js"),
    include_str!("page/text.js"),
    include_str!("page/view.js"),
    include_str!("page/lanes.js"),
    include_str!("page/waves.js"),
    include_str!("page/tip.js"),
    include_str!("page/hands.js"),
    include_str!("page/cards.js"),
    include_str!("page/latency.js"),
    include_str!("page/main.js"),
];

/// Writes the page.
pub(crate) fn write(picture: &Picture<'_>, out: &mut impl Write) -> io::Result<()> {
    let data = serde_json::to_string(picture)?.replace('<', "\\u003c");
    // What is put in is not looked through again: a name may well be `@data@`.
    for piece in FRAME.split('@') {
        match piece {
            "title" => out.write_all(escaped(&picture.title()).as_bytes())?,
            "style" => out.write_all(STYLE.as_bytes())?,
            "data" => out.write_all(data.as_bytes())?,
            "script" => SCRIPT.iter().try_for_each(|part| out.write_all(part.as_bytes()))?,
            frame => out.write_all(frame.as_bytes())?,
        }
    }
    out.flush()
}

/// Text as HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_has_each_place_once_and_no_other_sign_of_one() {
        let pieces: Vec<&str> = FRAME.split('@').skip(1).step_by(2).collect();
        assert_eq!(pieces, ["title", "style", "data", "script"]);
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escaped("<b a=\"1\" c='2'>&"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;");
    }
}
