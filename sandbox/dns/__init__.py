"""The stand-in's DNS: health checkers, zones and resolvers over the stand-in clouds' own resources.

Written from the providers' documentation and apart from the failover budget's formula, so that the two can be compared.
"""
