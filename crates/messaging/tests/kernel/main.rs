//! The kernel against a real PostgreSQL and a real Apache Kafka.

mod acting;
mod consuming;
mod dead_letters;
mod failing;
mod outages;
mod relaying;
mod tables;
mod tally;
mod topic;
mod traces;
mod world;
