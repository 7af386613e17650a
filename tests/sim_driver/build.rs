//! Names the library as the real driver is named, so that a program that asks for `libcuda.so` gets the one that was
//! loaded before, while the file keeps a name that shadows nobody's driver.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libcuda.so");
}
