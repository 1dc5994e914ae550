//! Appends an input to a dataset that others may be reading.
//!
//! cargo run --example append -- INPUT DATASET

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(input), Some(dataset)) = (arguments.next(), arguments.next()) else {
        return Err("usage: append INPUT DATASET".into());
    };
    let summary = slaf::append(&dataset)?
        .input(&input)
        .configure(|converter| converter.cell_id_prefix("{source}_").wait())
        .run()?;
    println!("{dataset} has {} cells now", summary.n_obs());
    Ok(())
}
