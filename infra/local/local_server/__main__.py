"""`make run`. Measuring processes import this file again, and must find nothing to do."""

if __name__ == "__main__":
    from local_server.start import main

    main()
