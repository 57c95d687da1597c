"""What Evalpool is measured by: load generators, baselines and the targets they are judged against."""
