//! The examples in the documents are tests: each document is the comment of a type that exists while they run.

#[doc = include_str!("../../README.md")]
#[derive(Debug)]
pub struct Readme;

#[doc = include_str!("../../docs/plugin-authors.md")]
#[derive(Debug)]
pub struct PluginAuthors;

#[doc = include_str!("../../docs/engine-authors.md")]
#[derive(Debug)]
pub struct EngineAuthors;
