//! Claim: the page opens in a browser at once, says what is under the mouse, the finger and the keys, zooms, fits a telephone,
//! and runs and fetches nothing that a trace put into it.
//! Not covered: whether it is beautiful. `FREEHOLD_SHOTS=folder cargo test --test report_opens_in_a_browser` leaves pictures
//! to look at. Where there is no Chromium these tests look at nothing, and say so.
#![allow(dead_code, reason = "each test file uses its part of the helpers")]

mod browser;
mod command;
mod hostile;
mod report;

use std::time::Duration;

use browser::{Browser, Screen};
use command::bundled;
use hostile::{NAMES, trace_of_hostile_names};
use report::report;

const DESK: Screen = Screen { wide: 1280, high: 980, dark: false, touch: false };
const TELEPHONE: Screen = Screen { wide: 390, high: 844, dark: false, touch: true };
const TIP: &str = "document.getElementById('tip').hidden ? '' : document.getElementById('tip').innerText";
const FITS: &str = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
const RANGE: &str = "document.getElementById('matrix-range').innerText";

#[test]
fn the_bundled_mix_opens_at_once_and_answers() {
    let Some(mut browser) = Browser::start("mix") else { return };
    let page = report("mix_seen.html", &bundled("mix_cut.csv.zst"), &["--scale", "64", "--budget", "0.5"]);

    // The machine may be busy with other things: the best of three.
    let opened = (0..3).map(|_| browser.open(&page.path, DESK)).min().expect("three");
    println!("opened in {opened:?}");
    assert!(opened < Duration::from_secs(2), "{opened:?}");
    let story = browser.read("document.getElementById('story').innerText");
    assert!(story.contains("were evicted") && story.contains("needlessly"), "{story}");
    browser.shot("report-1280-light", true);

    // A block: the mouse on the middle of the card, where chat's weights lie.
    let at = browser.point("lane-places", 0.5, 0.6);
    browser.mouse("mouseMoved", at);
    let said = browser.read(TIP);
    let labels = page.data["raster"]["labels"].as_array().expect("a list");
    assert!(labels.iter().filter_map(|label| label.as_str()).any(|label| said.starts_with(label)), "{said}");
    assert!(said.contains("chat") && said.contains("may leave") && said.contains("MiB"), "{said}");
    browser.eval("document.getElementById('time-head').closest('section').scrollIntoView()");
    let at = browser.point("lane-evicted", 0.718, 0.5);
    browser.mouse("mouseMoved", at);
    let said = browser.read(TIP);
    assert!(said.starts_with("evicted") && said.contains("pushed out"), "{said}");
    browser.shot("report-tooltip", false);

    zooms(&mut browser);
    shows_one_alone(&mut browser);
    answers_keys(&mut browser);
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
}

/// Drag, wheel, buttons: each changes the range that is shown, and "all" takes it back.
fn zooms(browser: &mut Browser) {
    assert_eq!(browser.read(RANGE), "over the whole replay");
    let (from, to) = (browser.point("lane-resident", 0.3, 0.5), browser.point("lane-resident", 0.5, 0.5));
    browser.mouse("mouseMoved", from);
    browser.mouse("mousePressed", from);
    browser.mouse("mouseMoved", to);
    browser.mouse("mouseReleased", to);
    let dragged = browser.read(RANGE);
    assert!(dragged.starts_with("events "), "{dragged}");
    browser.click("zoom-in");
    let nearer = browser.read(RANGE);
    assert_ne!(dragged, nearer);
    browser.click("reset");
    assert_eq!(browser.read(RANGE), "over the whole replay");
    let at = browser.point("lane-uploaded", 0.5, 0.5);
    browser.turn_wheel(at);
    assert!(browser.read(RANGE).starts_with("events "), "Ctrl and the wheel zoom");
    browser.press("0"); // nobody has the focus: nothing happens
    browser.click("reset");
    browser.click("by-second");
    assert_eq!(browser.eval("document.getElementById('by-second').getAttribute('aria-pressed')"), "true");
    browser.click("by-event");
}

/// A plugin alone: the others step back, and are there again.
fn shows_one_alone(browser: &mut Browser) {
    let pressed = "[...document.querySelectorAll('#legend button')].map(b => b.getAttribute('aria-pressed')).join()";
    let press = "document.querySelector('#legend button').click()";
    let none = browser.read(pressed);
    browser.eval(press);
    assert!(browser.read(pressed).starts_with("true,false") && !none.contains("true"));
    browser.shot("report-alone", false);
    browser.eval(press);
    assert_eq!(browser.read(pressed), none);
}

/// The charts take the focus, the arrows move the cursor, and what it is on is read out.
fn answers_keys(browser: &mut Browser) {
    browser.eval("document.getElementById('lanes').focus()");
    browser.press("ArrowRight");
    let here = browser.read(TIP);
    browser.press("ArrowRight");
    let there = browser.read(TIP);
    assert!(!here.is_empty() && here != there, "{here} and {there}");
    browser.press("+");
    assert!(browser.read(RANGE).starts_with("events "));
    browser.press("0");
    browser.press("Escape");
    assert_eq!(browser.read(TIP), "");
    assert_eq!(browser.eval("document.getElementById('tip').getAttribute('aria-live')"), "polite");
    assert!(browser.eval("document.querySelectorAll('#table tbody tr').length").as_u64() > Some(20));
}

#[test]
fn it_fits_a_telephone_by_day_and_by_night() {
    let Some(mut browser) = Browser::start("telephone") else { return };
    for (name, bundle) in
        [("front_end", "mm_frontend_cut.csv.zst"), ("real", "real_bcrafton_memory_snapshot_06f5.csv.zst")]
    {
        let page = report(&format!("{name}_seen.html"), &bundled(bundle), &["--scale", "64"]);
        for dark in [false, true] {
            for screen in [Screen { dark, ..TELEPHONE }, Screen { dark, ..DESK }] {
                browser.open(&page.path, screen);
                assert_eq!(browser.eval(FITS), true, "{name} on {screen:?}: something is wider than the screen");
                browser.shot(&format!("{name}-{}-{}", screen.wide, if dark { "dark" } else { "light" }), true);
                let at = browser.point("lane-resident", 0.5, 0.5);
                browser.point_at(at, screen);
                let said = browser.read(TIP);
                assert!(said.starts_with("resident") && said.contains("of the budget"), "{said}");
                let inside = "(() => { const b = document.getElementById('tip').getBoundingClientRect(); \
                    return b.left >= 0 && b.right <= innerWidth && b.top >= 0 && b.bottom <= innerHeight })()";
                assert_eq!(browser.eval(inside), true, "{name} on {screen:?}: the tooltip is cut off");
            }
        }
    }
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
}

#[test]
fn names_of_bad_intent_are_shown_and_do_nothing() {
    let Some(mut browser) = Browser::start("hostile") else { return };
    let page = report("hostile_seen.html", &trace_of_hostile_names("seen"), &["--budget", "2048"]);
    for screen in [DESK, TELEPHONE] {
        browser.open(&page.path, screen);
        assert!(browser.read("document.title").contains("<b>'\"&"), "the title is the trace's, as text");
        let strangers = "document.querySelectorAll('main img, main script, main b b').length + document.scripts.length";
        assert_eq!(browser.eval(strangers), 2, "the page's own two scripts and nothing else");
        let shown = browser.read("document.getElementById('plugins').innerText");
        for name in NAMES.iter().filter(|name| name.is_ascii()) {
            assert!(shown.contains(name), "{name} of {shown}");
        }
        assert!(shown.contains("\\u202edrawkcab"), "what cannot be seen is shown: {shown}");
        assert_eq!(browser.eval(FITS), true, "{screen:?}: something is wider than the screen");
        let at = browser.point("lane-places", 0.9, 0.1);
        browser.point_at(at, screen);
        let said = browser.read(TIP);
        assert!(said.contains("a weight, may leave") && said.contains("512 B"), "{said}");
        browser.shot(&format!("hostile-{}", screen.wide), true);
    }
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
}
