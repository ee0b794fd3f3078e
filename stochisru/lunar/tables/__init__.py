"""Cases that say more than the base problem: technologies, customers, prices that move, support, stores, risk."""
