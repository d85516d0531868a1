"""The terms on which all sides trade; imports nothing, so that a rival's process starts with what it needs alone."""

FAST, SLOW = 10, 50
FEE_BPS = 26
FEE = FEE_BPS / 10_000
CASH = 1_000_000
WINDOW, WEEK = 672, 168
FIRST_REBALANCE = WINDOW + WEEK
BUFFER = 0.01
STOP, TARGET, TRAIL = 0.03, 0.06, 0.02
