"""What people see: console pages and the dashboard builder."""
