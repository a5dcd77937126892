module switchyard.test/pause

go 1.26
