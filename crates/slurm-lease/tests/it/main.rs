//! Tests of the library as others use it.

mod fixtures;
