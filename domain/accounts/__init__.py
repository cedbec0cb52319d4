"""Who a rider is: accounts, sign-ins on devices, and the tokens that prove them."""
