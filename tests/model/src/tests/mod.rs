mod flaws;
mod queues;
mod saga;
