"""HTTP: requests and their bodies, answers, problems, headers and the log line of each request."""
