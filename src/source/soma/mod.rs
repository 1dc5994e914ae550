//! TileDB-SOMA experiments, read without TileDB.
mod files;
mod tiledb;
