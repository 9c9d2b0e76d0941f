//! The kernel against a real PostgreSQL and a real Apache Kafka.

#[cfg(test)]
mod acting;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod breaking;
#[cfg(test)]
mod broadcasting;
#[cfg(test)]
mod broker;
#[cfg(test)]
mod consuming;
#[cfg(test)]
mod dead_letters;
#[cfg(test)]
mod desk;
#[cfg(test)]
mod failing;
#[cfg(test)]
mod forgetting;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod maintenance;
#[cfg(test)]
mod obsolete;
#[cfg(test)]
mod operating;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod pool;
#[cfg(test)]
mod publications;
#[cfg(test)]
mod refusing;
#[cfg(test)]
mod relaying;
#[cfg(test)]
mod replaying;
#[cfg(test)]
mod supervising;
#[cfg(test)]
mod tables;
#[cfg(test)]
mod tally;
#[cfg(test)]
mod telling;
#[cfg(test)]
mod topic;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod world;
