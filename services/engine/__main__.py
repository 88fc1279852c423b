"""`python -m services.engine`: the engine as a program of its own."""

from services.engine import main

if __name__ == "__main__":
    main()
