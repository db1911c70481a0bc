"""What tools/sweep, tools/benchmark and tools/votes are made of. Python 3.8 and nothing else.

spec.py reads a file, ranges.py and presets.py draw settings, plan.py says which runs there are and which can begin,
pool.py trains them here and slurm.py on a cluster, results.py reads what they left, welch.py and tables.py compare it.
"""
