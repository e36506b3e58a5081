"""What tests share: processes, servers, apps and trees."""
