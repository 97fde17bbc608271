"""What runs inside the processes of functions: a program of its own, made of the standard library alone.

It is started by path (`__main__`), under the private name `_oncue_guest`: a function cannot import Oncue.
"""
