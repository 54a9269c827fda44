#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nodulus_fuzz::targets::data_manifest(bytes));
