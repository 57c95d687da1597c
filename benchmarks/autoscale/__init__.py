"""The proof of autoscaling on one machine: a real Prometheus, the ScaledObject's own queries, the HPA's algorithm."""
