"""``python -m switchyard.cli``"""

from switchyard.cli.app import main

if __name__ == "__main__":
    main()
