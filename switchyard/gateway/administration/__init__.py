"""What an organization's administrators ask of a gateway, by OpenAI's routes below ``/v1/organization``."""
