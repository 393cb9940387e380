"""Who somebody is: passwords, tokens, throttle, verifier cache."""
