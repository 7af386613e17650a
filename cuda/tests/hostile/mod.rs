//! Names with bad intentions, and a trace that uses them for everything that has a name.

use super::command::{compressed, file};

/// Each would do something if it ever became markup or script. (A field of a trace holds no comma and no line end.)
pub(crate) const NAMES: [&str; 6] = [
    "</script><script>document.title=`broken`</script>",
    "\"'><img src=x onerror=document.title=`broken`>",
    "@data@ <!-- ${document.title=`broken`} -->",
    "\u{202e}drawkcab \u{2028}\u{0} 名前 🦀 &lt;b&gt;<b>bold</b>",
    "__proto__",
    "a name that is as long as the road to the sea and back again and then some more and some more and some more and more",
];

/// Six plugins, each with a weight and a job, all called by one of the names. Four weights fit.
pub(crate) fn trace_of_hostile_names(name: &str) -> String {
    let mut lines = String::new();
    for (thread, name) in NAMES.iter().enumerate() {
        lines += &format!("0,{thread},begin,{thread},0,0,{name}\n0,{thread},load,{thread},512,0,{name}\n");
    }
    for turn in 0..60 {
        let thread = turn % NAMES.len();
        lines += &format!("0,{thread},access,{thread},512,0,{}\n", NAMES[thread]);
    }
    let text = format!("t_us,thread,op,id,bytes,stream,tag\n{lines}");
    // A path may hold all but a slash and a zero.
    file(&format!("{name} \n<b>'\"&.csv.zst"), &compressed(&text))
}
