"""Rules that every stack keeps: one implementation, run by `make plan` and by `pulumi --policy-pack policies`.

Depends on nothing else of ours: it starts fast, and judges what is declared and not what somebody meant to declare.
"""
