//! Writes the seeds of every target: `seeds FOLDER` makes `FOLDER/TARGET/NAME`.

use std::path::Path;

fn main() {
    let folder = std::env::args_os().nth(1).expect("a folder for the seeds");
    for seed in nodulus_fuzz::seeds::seeds(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()) {
        let folder = Path::new(&folder).join(seed.target);
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::write(folder.join(seed.name), seed.bytes).unwrap();
    }
}
