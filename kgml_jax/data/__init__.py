"""The door: files of any supported form become checked, unit-true, gap-free `Sites`."""
