"""What is watched: where Prometheus finds the nodes, what it computes and when it calls, and Grafana's dashboards."""
