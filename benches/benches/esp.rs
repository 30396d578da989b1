//! Encapsulating and decapsulating one batch of 64 packets: `cargo bench -p gotthard-benches --bench esp`.
//!
//! The throughput column counts packets: its inverse is the time a packet.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gotthard_benches::{BATCH, Ends, TRANSFORMS};

/// Octets of the inner packet.
const SIZES: [usize; 3] = [64, 512, 1400];

fn encapsulate(c: &mut Criterion) {
    let mut group = c.benchmark_group("encapsulate");
    group.throughput(Throughput::Elements(BATCH));
    for (name, transform) in TRANSFORMS {
        let ends = Ends::new(transform).expect("an SA");
        for len in SIZES {
            group.bench_function(BenchmarkId::new(name, len), |b| {
                b.iter_batched_ref(
                    || ends.plain(len),
                    |batch| ends.encapsulate(batch, len).expect("sealed"),
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

fn decapsulate(c: &mut Criterion) {
    let mut group = c.benchmark_group("decapsulate");
    group.throughput(Throughput::Elements(BATCH));
    for (name, transform) in TRANSFORMS {
        let ends = Ends::new(transform).expect("an SA");
        for len in SIZES {
            let sealed = ends.sealed(len).expect("sealed");
            group.bench_function(BenchmarkId::new(name, len), |b| {
                b.iter_batched_ref(
                    || (sealed.clone(), ends.window()),
                    |(batch, window)| ends.decapsulate(batch, window).expect("opened"),
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, encapsulate, decapsulate);
criterion_main!(benches);
