"""`python -m services.capture`: run the service by itself."""

from services.capture import main

main()
