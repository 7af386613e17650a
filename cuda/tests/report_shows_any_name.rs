//! Claim: whatever a trace calls its plugins and tensors, and whatever its file is called, the page holds it as text: nothing
//! in a name ends an element, takes a place in the frame or becomes markup.
//! Not covered: that a browser runs nothing of it (`report_opens_in_a_browser`, with the same names).
#![allow(dead_code, reason = "each test file uses its part of the helpers")]

mod command;
mod hostile;
mod report;

use hostile::{NAMES, trace_of_hostile_names};
use report::report;

#[test]
fn names_are_kept_and_cannot_end_their_element() {
    let page = report("hostile.html", &trace_of_hostile_names("names"), &["--budget", "2048"]);
    for sign in ["</script><script>", "<img", "<!--", "<b>"] {
        assert!(!page.html.contains(sign), "{sign} is in the page");
    }
    let ends = page.html.matches("</script>").count();
    assert_eq!((ends, page.html.matches("</title>").count()), (2, 1));
    let listed =
        |list: &serde_json::Value, name: &str| list.as_array().is_some_and(|list| list.iter().any(|n| n == name));
    for name in NAMES {
        assert!(listed(&page.data["groups"], name), "{name:?} of {}", page.data["groups"]);
        assert!(listed(&page.data["raster"]["labels"], name), "{name:?} of {}", page.data["raster"]["labels"]);
    }
    let called = page.data["totals"]["trace"].as_str().expect("a text");
    assert!(called.contains("</title>") || called.contains('\n'), "{called:?}");
}
