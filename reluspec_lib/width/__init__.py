"""Networks of finite width: simulation and fluctuations."""
