#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| slaf::fuzzing::hdf5_pipeline(bytes));
