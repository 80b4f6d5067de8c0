"""What `make deploy` and its neighbours do beside CloudFormation. Run as modules, with PYTHONPATH=infra."""
