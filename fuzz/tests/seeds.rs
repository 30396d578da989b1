//! Every target on its seeds, and on each seed with one thing wrong, without a fuzzer: quick enough for each build.

use std::path::Path;

use gotthard_ike::crypto::certificate::Flaw;

#[test]
fn targets_hold_on_their_seeds() {
    for (name, target) in gotthard_fuzz::TARGETS {
        for seed in seeds(name) {
            target(&seed);
        }
    }
}

#[test]
fn targets_hold_on_seeds_that_are_cut_or_have_an_octet_changed() {
    for (name, target) in gotthard_fuzz::TARGETS {
        for seed in seeds(name) {
            // A long seed is sampled: a prime step meets every field of some seed.
            for place in (0..seed.len()).step_by(1 + seed.len() / 97) {
                target(&seed[..place]);
                for value in [0, 1, 0x7f, 0x80, 0xff, seed[place].wrapping_add(1)] {
                    let mut changed = seed.clone();
                    changed[place] = value;
                    target(&changed);
                }
            }
        }
    }
}

#[test]
fn certificates_of_the_seeds_are_believed_but_for_the_revoked_one() {
    let verdicts: Vec<_> =
        seeds("certificate").iter().filter_map(|seed| gotthard_fuzz::certificate::verdict(seed)).collect();
    let (believed, refused): (Vec<_>, Vec<_>) = verdicts.into_iter().partition(Result::is_ok);
    assert_eq!(refused, [Err(Flaw::Revoked)]);
    assert_eq!(believed.len(), 6);
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let files = std::fs::read_dir(&folder).expect("a folder of seeds");
    let seeds: Vec<_> =
        files.map(|file| std::fs::read(file.expect("a file").path()).expect("a seed")).collect();
    assert!(!seeds.is_empty(), "no seeds in {}", folder.display());
    seeds
}
