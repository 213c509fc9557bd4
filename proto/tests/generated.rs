//! Holds the committed generated code equal to the .proto files.
//! `UPDATE_GENERATED=1 cargo test -p hostwell-proto --test generated` rewrites it.
#![allow(clippy::disallowed_methods)]

use std::path::Path;

#[test]
fn generated_code_is_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["hostwell/v1/intake.proto", "hostwell/v1/operator.proto"];
    let descriptors = protox::compile(files, [root]).unwrap();
    let out = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .out_dir(out.path())
        .build_transport(true)
        .codec_path("crate::codec::SmallBuffers")
        .compile_fds(descriptors)
        .unwrap();
    let fresh = std::fs::read_to_string(out.path().join("hostwell.v1.rs")).unwrap();
    let committed = root.join("src/generated/hostwell.v1.rs");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&committed, &fresh).unwrap();
    }
    assert!(
        fresh == std::fs::read_to_string(&committed).unwrap_or_default(),
        "src/generated is stale: run `UPDATE_GENERATED=1 cargo test -p hostwell-proto --test generated`"
    );
}
