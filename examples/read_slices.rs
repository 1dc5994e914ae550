//! Reads parts of a dataset: rows in chunks, some genes of some cells, columns of obs.
//!
//! cargo run --example read_slices -- DATASET GENE…

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dataset = slaf::open(arguments.next().ok_or("usage: read_slices DATASET GENE…")?)?;
    let wanted: Vec<String> = arguments.collect();

    let mut non_zeros = 0;
    for chunk in dataset.x().chunk_bytes(16 << 20).chunks()? {
        non_zeros += chunk?.data.len();
    }
    println!(
        "{} × {}: {non_zeros} non-zeros",
        dataset.n_obs(),
        dataset.n_vars()
    );

    let names = dataset.var_names(..)?;
    let genes: Vec<u64> = (0u64..)
        .zip(names.iter().flatten())
        .filter(|(_, name)| wanted.iter().any(|gene| gene == name))
        .map(|(position, _)| position)
        .collect();
    let first = dataset.n_obs().min(5);
    println!("{:?}", dataset.to_csr(..first, genes)?.to_dense());
    let obs = dataset.obs(..first)?;
    for (field, column) in obs.schema().fields().iter().zip(obs.columns()) {
        println!("{}: {column:?}", field.name());
    }
    Ok(())
}
