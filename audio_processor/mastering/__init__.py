"""mastering"""
