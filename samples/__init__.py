"""The bundled sample data of Triptych and the seeded generator that makes it."""
