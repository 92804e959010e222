//! Tests of the library as others use it.

#[cfg(test)]
mod fixtures;
