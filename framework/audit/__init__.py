"""``do=audit``: what a plan, the profiles of its rows and its findings say of the data, as one record."""
