"""Odd requests through our server and client, and through nginx, HAProxy and Envoy: which requests come out behind?"""
