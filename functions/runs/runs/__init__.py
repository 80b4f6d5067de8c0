"""The functions of jobs on AWS: plan what is measured, measure a batch of it, put the rows together."""
