from greenops.show.console import main

main()
