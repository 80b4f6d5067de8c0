"""The functions of runs on AWS: plan what is measured, measure a batch of it, put the rows together."""
